"""The page: a fleet by mining load, a meter's curve with its verdicts, alarms, and what does not fit."""
