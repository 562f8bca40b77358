"""What the API's objects look like: their OpenAPI definitions, and checkers compiled from them."""
