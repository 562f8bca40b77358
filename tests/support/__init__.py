"""What several rooms of the tests share. Importable as `support`: tests/conftest.py puts this folder on the path."""
