"""A network as linear maps, products and element-wise functions, and derivatives of it without finite differences."""
