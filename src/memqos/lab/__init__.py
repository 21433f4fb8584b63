"""The laboratory: experiments on real kernels, in virtual machines without a network.

`kernels` fetches Debian's kernels, `initramfs` packs what a guest starts from, `qemu` writes the
command line, `vm` runs the machine, `guest` is what runs inside, `run` puts them together.
The guest runs the host's own checkout and virtual environment, read-only over 9p.
"""
