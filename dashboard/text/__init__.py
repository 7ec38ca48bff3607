"""What the pages say: names, help and equations as data."""
