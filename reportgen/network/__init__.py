"""The user's model: loaded safely, traced once, observed at any layer, fed as it expects. Knows no figures and no pages."""
