"""Export from static mode: the inference Program and its weights."""

from __future__ import annotations

from paddle import static

from dygraph.engine.export import ExportSpec, InferenceNetwork
from dygraph.engine.static_mode import building, static_mode
from legacy.pdseg.stepper import StaticPredictor


def export_static(predictor: StaticPredictor, spec: ExportSpec) -> None:
    """Lower the predictor's network once more, output operator included, and write it with the Scope's weights."""
    predictor.inference.main  # noqa: B018 - the weights stand in the Scope once this Program was built
    with building() as (main, _):
        whole = InferenceNetwork(predictor.build_network(), spec.output_op)
        whole.eval()
        image = static.data("image", list(spec.input_shape), "float32")
        output = whole(image)
    with static_mode(), static.scope_guard(predictor.scope):
        prefix = str(spec.save_dir / spec.model_name)
        static.save_inference_model(prefix, [image], [output], predictor.executor, program=main)
    spec.rename_params()
