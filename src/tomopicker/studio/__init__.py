"""The studio: a local web application in which a person clicks particles, sees picks and reviews them."""
