"""Arrays from the network: weights, feature maps, natural maxima, patterns. Knows no pictures and no pages."""
