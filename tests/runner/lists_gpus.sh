#!/bin/sh
# Pass for nvidia-smi on a machine with $FAKE_GPUS GPUs.
[ "$1" = "-L" ] || exit 9
i=0
while [ "$i" -lt "$FAKE_GPUS" ]; do
    echo "GPU $i: Tesla V100-PCIE-16GB (UUID: GPU-0000000$i)"
    echo "  MIG 1g.5gb Device 0: (UUID: MIG-0000000$i)"
    i=$((i + 1))
done
