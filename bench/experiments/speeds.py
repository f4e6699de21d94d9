"""Measured training speeds of the arms on a CPU, by which a plan is priced until this machine has runs of its own.

Measured on 2026-11-25 on an AMD EPYC (Zen 4, avx512_bf16) with torch 2.12.1: forward, backward and optimizer step in
bfloat16 at 64 px in batches of 64, one thread, by the processor's time of the fastest of three steps.
"""

PX = 64
CPU = "an AMD EPYC"

IMAGES_PER_S = {
    "t2t_vit_7": 110.7,
    "t2t_vit_t_7": 117.2,
    "t2t_vit_c_7": 169.6,
    "t2t_vit_7_patches": 178.6,
    "t2t_vit_wide": 119.7,
    "vit_s": 110.3,
    "resnet10t": 193.4,
    "mobilenetv2_140": 66.6,
    "mobilenetv2_100": 106.1,
    "t2t_vit_7_se": 104.7,
    "vit_s_se": 101.8,
    "t2t_vit_dense": 63.8,
    "vit_dense": 55.8,
    "t2t_vit_7_resnext": 91.3,
    "vit_s_resnext": 102.4,
    "t2t_vit_7_ghost": 101.1,
    "vit_s_ghost": 90.0,
    "resnet50": 48.6,
    "resnet50_ghost": 58.0,
}
"""a thread, by arm of the study at 64 px"""
