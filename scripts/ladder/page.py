"""The parity report as one HTML page that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from html import escape

from scripts.ladder.bits import Comparison
from scripts.ladder.charts import layer_bars, layer_strip, loss_curves
from scripts.ladder.report import Report, amount, where_to_look
from scripts.ladder.rung import MEANING, Rung

STYLE = """
:root{--ink:#1b1f24;--quiet:#59636e;--paper:#fff;--card:#f6f8fa;--line:#d7dde3;--good:#1a7f4b;--bad:#c0392b;
--eager:#7fb2e5;--static:#12395e}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--quiet:#9aa5b1;--paper:#14181d;--card:#1d232a;--line:#38424d;
--good:#4cc38a;--bad:#ff7b6b;--eager:#3d78b4;--static:#d9ebff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:24px 20px 60px;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.5rem;margin:0 0 2px;overflow-wrap:anywhere}h2{font-size:1.12rem;margin:34px 0 8px}
h3{font-size:.95rem;margin:18px 0 4px}
p{margin:6px 0}.quiet,figcaption{color:var(--quiet);font-size:.88rem}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.verdict{margin:18px 0;padding:16px 20px;border-radius:10px;background:var(--card);border-left:7px solid var(--good)}
.verdict.bad{border-color:var(--bad)}.verdict>b{font-size:1.15rem}.verdict.good>b{color:var(--good)}
.verdict.bad>b{color:var(--bad)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;min-width:800px}
th,td{text-align:left;padding:7px 12px;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td,tr:last-child th{border-bottom:0}thead th{background:var(--card);font-size:.84rem;color:var(--quiet)}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td:first-child{white-space:nowrap}.sign{display:inline-block;width:1.2em;font-weight:700}
tr.same .sign{color:var(--good)}tr.other .sign{color:var(--bad)}tr.out{color:var(--quiet)}
tr.other td{background:color-mix(in srgb,var(--bad) 9%,transparent)}
figure{margin:8px 0;padding:12px;background:var(--card);border-radius:10px}
svg{display:block;width:100%;height:auto;min-width:0}
.grid{stroke:var(--line);stroke-width:1}.tick{fill:var(--quiet);font-size:12px}
polyline{fill:none;stroke-linejoin:round}polyline.eager,.key .eager{stroke:var(--eager);stroke-width:6}
polyline.static,.key .static{stroke:var(--static);stroke-width:2;stroke-dasharray:7 5}
rect.same{fill:var(--good)}rect.other{fill:var(--bad)}
.key{display:inline-block;width:42px;height:10px;vertical-align:middle}
ol.layers{list-style:none;margin:8px 0;padding:0}
ol.layers li{display:grid;grid-template-columns:minmax(200px,2fr) minmax(90px,1fr) minmax(150px,1.3fr);gap:10px;
align-items:center;padding:4px 10px;border-left:4px solid transparent}
ol.layers li.first{border-color:var(--bad);background:var(--card)}
.bar{display:block;height:11px;background:var(--line);border-radius:6px;overflow:hidden}
.bar i{display:block;height:100%;background:var(--bad)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 18px;margin:8px 0}dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
@media (max-width:640px){body{padding:14px 12px 40px}ol.layers li{grid-template-columns:1fr;gap:3px}
.tick{font-size:22px}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}th,td{padding:6px 8px}}
"""


def page(report: Report) -> str:
    """The whole document."""
    body = [
        f"<h1>Parity of {escape(report.title)}</h1>",
        '<p class="quiet">Eager and static mode on the same data, compared bit by bit in float32 on the CPU.</p>',
        _verdict(report),
        _rungs(report),
        _losses(report),
        _layers(report),
        _environment(report),
    ]
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Parity of {escape(report.title)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body>{''.join(body)}</body></html>\n"


def _verdict(report: Report) -> str:
    red = report.red
    if red is None:
        sentence = report.verdict()
        return f'<div class="verdict good"><b>✓ Equal</b><p>{escape(sentence[0].upper() + sentence[1:])}.</p></div>'
    sentence = where_to_look(red)
    return (
        f'<div class="verdict bad"><b>✗ Different</b><p>The first difference is on the rung <b>{escape(red.name)}</b>, '
        f"in <code>{escape(red.first.name)}</code>: {_distance(red.first)}.</p>"
        f"<p>{escape(sentence[0].upper() + sentence[1:])}.</p></div>"
    )


def _distance(one: Comparison) -> str:
    if one.ulps < 0:
        return escape(one.note)
    text = f"{one.ulps:,} ulps, {one.absolute:.3g} absolute, in {one.differing:,} of {one.size:,} elements"
    return escape(f"{text} ({one.note})" if one.note else text)


def _rungs(report: Report) -> str:
    rows = "".join(_row(rung) for rung in report.rungs)
    return (
        "<h2>Rungs</h2><p class='quiet'>From the samples to the exported network; an ulp is the distance to the next "
        "floating point number. A difference usually runs through all rungs that follow: the first one counts.</p>"
        '<div class="wide"><table><thead><tr><th>rung</th><th>tensors</th><th>differ</th><th>largest difference</th>'
        f"<th>compared, or first that differs</th><th>seconds</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(rung: Rung) -> str:
    if rung.left_out:
        return (
            f'<tr class="out"><td><span class="sign">–</span>{escape(rung.name)}</td><td></td><td></td>'
            f'<td>left out</td><td>{escape(rung.left_out)}</td><td class="n"></td></tr>'
        )
    kind, sign = ("same", "✓") if rung.equal else ("other", "✗")
    told = escape(MEANING[rung.name][0]) if rung.equal else f"<code>{escape(rung.first.name)}</code>"
    if not rung.equal and rung.first.ulps < 0:
        told += f"<br>{escape(rung.first.note)}"
    largest = "equal" if rung.equal else amount(rung.worst)
    return (
        f'<tr class="{kind}"><td><span class="sign">{sign}</span>{escape(rung.name)}</td>'
        f'<td class="n">{len(rung.comparisons):,}</td><td class="n">{len(rung.different):,}</td>'
        f'<td>{escape(largest)}</td><td>{told}</td><td class="n">{rung.seconds:.1f}</td></tr>'
    )


def _losses(report: Report) -> str:
    if not report.losses.eager:
        return ""
    keys = "".join(
        f'<svg class="key" viewBox="0 0 42 10"><line class="{mode}" x1="0" x2="42" y1="5" y2="5"/></svg> {mode} '
        for mode in ("eager", "static")
    )
    return (
        f"<h2>Loss of {len(report.losses.eager)} steps</h2><figure>{loss_curves(report.losses)}"
        f"<figcaption>{keys}&nbsp; Where the modes agree, the dashes lie on the line.</figcaption></figure>"
    )


def _layers(report: Report) -> str:
    parts = ["<h2>Difference per layer</h2>"]
    for rung in report.rungs:
        if not rung.name.startswith("layers") or not rung.comparisons:
            continue
        mode = rung.name.partition(", ")[2]
        if rung.equal:
            said = f"All {len(rung.comparisons)} outputs are equal."
        else:
            said = f"{len(rung.different)} of {len(rung.comparisons)} outputs differ, first {rung.first.name}."
        parts.append(
            f"<h3>In {escape(mode)} mode</h3><figure>{layer_strip(rung.comparisons)}"
            f"<figcaption>{escape(said)} One bar a layer, in the order of the forward pass; height: ulps, "
            f"logarithmic.</figcaption></figure>{layer_bars(rung.comparisons)}"
        )
    return "".join(parts) if len(parts) > 1 else ""


def _environment(report: Report) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in report.environment.items())
    return f"<h2>Environment</h2><dl>{rows}</dl>"
