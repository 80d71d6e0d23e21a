"""What a network learns before it sees a click: to tell random molecules apart in random tomograms."""
