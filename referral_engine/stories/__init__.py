"""Made-up traffic: whole loops as messages, with what each must cause beside it."""
