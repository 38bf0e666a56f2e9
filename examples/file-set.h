/**
 * A set of files, each known by its device and inode number: what has been counted must not be counted again.
 *
 * Open addressing with linear probing, at most three quarters full.
 */

#ifndef FILE_SET_H
#define FILE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

struct file_id {
	uint64_t dev; // plus one, so that zeroed memory is an empty slot
	uint64_t ino;
};

/** All zeroes is the empty set. */
struct file_set {
	struct file_id *slots;
	size_t size; // a power of two, or 0
	size_t used;
};

/** The slot that holds a file, or the empty one where it belongs. */
static inline struct file_id *file_set_slot(const struct file_set *set, struct file_id id)
{
	// The high half of a product depends on every bit of its factors; inode numbers alone are often consecutive.
	uint64_t hash = (id.ino ^ id.dev << 32) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 32) & (set->size - 1);
	while (set->slots[i].dev != 0 && (set->slots[i].dev != id.dev || set->slots[i].ino != id.ino)) {
		i = (i + 1) & (set->size - 1);
	}
	return &set->slots[i];
}

/** Returns 1 if the file is new to the set, 0 if it was there, -1 if there is no memory. */
static inline int file_set_add(struct file_set *set, dev_t dev, ino_t ino)
{
	if (set->used >= set->size / 4 * 3) {
		struct file_set grown = {.size = set->size ? 2 * set->size : 1024, .used = set->used};
		grown.slots = calloc(grown.size, sizeof(*grown.slots));
		if (!grown.slots) {
			return -1;
		}
		for (size_t i = 0; i < set->size; ++i) {
			if (set->slots[i].dev != 0) {
				*file_set_slot(&grown, set->slots[i]) = set->slots[i];
			}
		}
		free(set->slots);
		*set = grown;
	}

	struct file_id id = {.dev = (uint64_t)dev + 1, .ino = ino};
	struct file_id *slot = file_set_slot(set, id);
	if (slot->dev != 0) {
		return 0;
	}
	*slot = id;
	++set->used;
	return 1;
}

static inline void file_set_free(struct file_set *set)
{
	free(set->slots);
}

#endif // FILE_SET_H
