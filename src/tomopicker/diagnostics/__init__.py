"""Do picks lie on particles? Tests of positions against their tomograms: positions and volumes in, findings out."""
