"""The user's model: loaded safely, walked completely, tapped anywhere, fed as it expects. Knows no pictures and no pages."""
