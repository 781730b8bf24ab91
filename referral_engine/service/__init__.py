"""The Twisted servers, and the assembly that knows every class."""
