"""Examples of using the platform. A package of its own name, so that no installed one of the same name wins."""
