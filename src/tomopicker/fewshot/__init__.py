"""Picks without training: features of the shipped network, and a discriminant in closed form from a few clicks."""
