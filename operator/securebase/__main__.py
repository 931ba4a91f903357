"""`python -m securebase`: the same as the command `securebase`."""

from securebase.cli import main

if __name__ == "__main__":
    main()
