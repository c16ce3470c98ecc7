"""The Train widget: trains a network on open layers or on a folder."""
