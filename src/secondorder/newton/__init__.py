"""Parts of a Newton step: solving for a direction with products alone, and deciding how far to go along it.

Every part is a function of flat vectors and numbers; none knows a network. Defined in docs/methods.md, section
"Newton-Krylov".
"""
