"""GPUs for which a cost can be estimated."""

PEAK_TFLOPS = {
    "t4": 65,
    "v100": 125,
    "a10": 125,
    "a30": 165,
    "a40": 150,
    "l4": 121,
    "l40s": 362,
    "a100": 312,
    "h100": 989,
    "h200": 989,
}
"""of dense products in half precision, as NVIDIA's data sheets state them; training reaches a part of it"""
