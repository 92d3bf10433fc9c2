"""Arrays become pictures: palettes, mosaics and figures, with nothing known of the model that made them."""
