"""The triton engine: autoregressive flows in fused kernels, on CUDA devices."""
