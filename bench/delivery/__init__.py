"""What delivery keeps of its promises: kills, a losing broker, a week of outage, wear, a day of faults, restarts."""
