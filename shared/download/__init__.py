"""Files from the network: fetched whole into the cache, and unpacked whole or not at all."""
