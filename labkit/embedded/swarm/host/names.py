"""Names for containers that were given none: ``brisk_kepler``, as dockerd makes them from its own two lists."""

from __future__ import annotations

import random


def _words(text: str) -> list[str]:
    return text.split()


_MOODS = _words(
    "agile amber ample balmy brave brisk calm candid cheery civil clever cosy crisp deft dapper eager earnest "
    "easy fair fervent fond frank fresh gentle giddy glad golden grand hardy hearty honest humble jaunty jolly "
    "keen kind lively lucid lucky mellow merry mild modest neat nimble noble patient placid plucky polite prim "
    "prompt proud quick quiet ready robust rosy serene sharp shy silent sincere smart snug spry stoic sturdy "
    "sunny swift tender tidy tranquil upbeat valiant vivid warm wise witty zealous zesty "
)
_PEOPLE = _words(
    "abel adleman babbage bartik bell bohr boole borg bose cantor carson cerf church clarke codd conway cray "
    "curie darwin dijkstra easley edison engelbart erdos euclid euler faraday fermat fermi feynman franklin "
    "galileo galois gauss goldberg hamilton hamming hawking hertz hilbert hoare holberton hooke hopper hubble "
    "huygens hypatia jennings johnson joule kay kelvin kepler knuth lamarr lamport laplace leibniz lovelace "
    "maxwell mccarthy meitner mendel milner morse nash newton nightingale noether pascal pasteur perlman planck "
    "poincare ptolemy ramanujan raman ride ritchie sagan shannon sinoussi spence swartz tesla torvalds turing "
    "volta wiles wilson wing wozniak "
)


def random_name(rng: random.Random, attempt: int = 0) -> str:
    """A name; from the second attempt on with a digit after it, since the plain one was taken."""
    name = f"{rng.choice(_MOODS)}_{rng.choice(_PEOPLE)}"
    return f"{name}{rng.randrange(10)}" if attempt else name
