"""The engine put to torture on scratch directories: what it told its senders is held against what it kept and did."""
