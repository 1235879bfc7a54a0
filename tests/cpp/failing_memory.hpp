// Memory that fails when a check wants it to: the program's operator new is replaced.
#pragma once

/// From now on so many blocks can be had, by all threads together; then std::bad_alloc, until this is called again. Negative: as
/// many as there are.
void allow_blocks(long count);

/// How many blocks are in use.
long blocks_in_use();
