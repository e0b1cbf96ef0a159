"""What each of our objects says about itself: demands, pools, the fleet and its plans."""
