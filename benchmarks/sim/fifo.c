/* The smallest exact policy there is: FIFO, one byte a page and a ring of page numbers. */
#include <stdint.h>

long fifo(const int32_t *trace, long count, int32_t *ring, long fit, uint8_t *held)
{
	long at = 0, misses = 0;

	for (long i = 0; i < count; i++) {
		int32_t page = trace[i];

		if (held[page])
			continue;
		misses++;
		if (ring[at] >= 0)
			held[ring[at]] = 0;
		ring[at] = page;
		held[page] = 1;
		if (++at == fit)
			at = 0;
	}
	return misses;
}
