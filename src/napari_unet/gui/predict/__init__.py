"""The Predict widget."""
