"""From what the user asked for to a plan: the model open, its layers described, tasks with keys and costs."""
