"""The two loops, training and inference, and the model file between them."""
