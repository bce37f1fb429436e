"""What "compiles" means in each language, and how its compiler is asked."""
