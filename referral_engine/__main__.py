"""`python -m referral_engine` is `referral-engine`."""

from referral_engine.cli.main import main

main()
