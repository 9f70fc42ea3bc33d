"""The data path as pure functions: cut, digest, pack, compress, seal, and the keys. No I/O stands in this folder."""
