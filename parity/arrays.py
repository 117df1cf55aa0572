"""Writes the npz files that packages/io and packages/evaluation read in their tests.

    python parity/arrays.py packages/io/test/fixtures packages/evaluation/test/fixtures

Needs numpy.
"""

import sys

import numpy as np

io, evaluation = sys.argv[1:]

arrays = {
    "arr_0": (np.arange(5 * 3 * 2, dtype=np.uint8) * 8).reshape(5, 3, 2),
    "float64": np.array([[1.5, -2.0, np.inf], [0.1, 1e300, -0.0]]),
    "float16": np.array([0.5, 65504], np.float16),
    "int64": np.array([-1, 2**60]),
    "bool": np.array([[True], [False]]),
    "scalar": np.float32(7),
    "empty": np.zeros((0, 4), np.int32),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
}
refused = {
    "objects": np.array([{"a": 1}], object),
    "text": np.array(["a", "bc"]),
    "big": np.array([1.0], ">f8"),
    "complex": np.array([1j]),
}
np.savez(f"{io}/arrays.npz", **arrays)
np.savez_compressed(f"{io}/compressed.npz", **arrays, zeros=np.zeros(10**6, np.uint8))
np.savez(f"{io}/refused.npz", fine=np.array([1.0]), **refused)

# As pytorch-fid and guided-diffusion write them, the latter with the statistics of another layer beside.
mu, sigma = np.array([1.0, -2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
np.savez(f"{evaluation}/statistics.npz", mu=mu, sigma=sigma, mu_s=np.zeros(3), sigma_s=np.eye(3))
np.savez_compressed(f"{evaluation}/float32.npz", mu=mu.astype(np.float32), sigma=sigma.astype(np.float32))
