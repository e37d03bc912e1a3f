"""What is not linear: functions of one value, and maxima."""
