"""What a visitor has chosen: session and links."""
