"""Arrays in, arrays out: preprocessing, label masks, patches and augmentation."""
