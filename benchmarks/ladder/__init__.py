"""The ladder: instances of the stage-two program, small to large, solved within a deadline."""
