"""Parts of the kernel in memory: see ``tests.fake_kernel``."""
