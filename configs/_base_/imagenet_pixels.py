# Mean and standard deviation of ImageNet's RGB pixels, from 0 to 255.
pixel_mean = [123.675, 116.28, 103.53]
pixel_std = [58.395, 57.12, 57.375]
