/*
 * Sluice shared memory, layout version 1: segments and rings for C.
 * docs/shm-layout.md explains it. C11, Linux and macOS, 64 bits, little-endian.
 *
 * The peer may be hostile: every word of the segment is read once and bounded
 * before use. Functions return a negative number where something can't be right.
 */
#ifndef SLUICE_SHM_H
#define SLUICE_SHM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLUICE_SEGMENT_MAGIC 0x4d534c53u /* "SLSM" */
#define SLUICE_RING_MAGIC 0x47524c53u    /* "SLRG" */
#define SLUICE_VERSION 1u
#define SLUICE_RECORD_HEADER 8u

/* The first 128 bytes of a segment. */
struct sluice_segment {
  uint32_t magic;
  _Atomic uint32_t version; /* written last */
  uint64_t length;          /* of the whole segment */
  uint32_t header_length;   /* 128: the data follows */
  uint32_t reserved0;
  uint32_t owner_pid;
  uint32_t reserved1;
  uint64_t owner_start_time; /* field 22 of /proc/<pid>/stat */
  uint32_t pid_namespace;    /* inode of /proc/<pid>/ns/pid */
  uint32_t flags;            /* 1: the name is kept */
  uint8_t reserved2[80];
};

/* One side of a ring. */
struct sluice_side {
  _Atomic uint32_t pid;   /* 0: nobody */
  _Atomic uint32_t state; /* 0: never held, 1: open, 2: ended in order */
  uint64_t start_time;
};

/* The first 512 bytes of a ring. */
struct sluice_ring_header {
  uint32_t magic;
  _Atomic uint32_t version; /* written last */
  uint32_t capacity;        /* a power of two */
  uint32_t longest;         /* capacity / 2 - 16 */
  struct sluice_side producer;
  struct sluice_side consumer;
  uint8_t reserved0[80];
  _Atomic uint32_t producer_sleeps;
  uint8_t reserved1[124];
  _Atomic uint32_t tail; /* bytes that the consumer is done with */
  uint8_t reserved2[124];
  _Atomic uint32_t consumer_sleeps;
  uint8_t reserved3[124];
};

_Static_assert(sizeof(struct sluice_segment) == 128, "segment header");
_Static_assert(sizeof(struct sluice_ring_header) == 512, "ring header");
_Static_assert(offsetof(struct sluice_ring_header, producer) == 16, "producer");
_Static_assert(offsetof(struct sluice_ring_header, consumer) == 32, "consumer");
_Static_assert(offsetof(struct sluice_ring_header, producer_sleeps) == 128, "");
_Static_assert(offsetof(struct sluice_ring_header, tail) == 256, "tail");
_Static_assert(offsetof(struct sluice_ring_header, consumer_sleeps) == 384, "");

/* One side's view of a ring. Its own position never comes from the segment. */
struct sluice_ring {
  struct sluice_ring_header *header;
  uint8_t *data;
  uint32_t capacity;
  uint32_t longest;
  uint32_t head;      /* producer: where the next record goes */
  uint32_t tail;      /* consumer: its position; producer: as last seen */
  uint32_t published; /* consumer: the position that the producer knows */
};

enum {
  SLUICE_EMPTY = -1,    /* nothing to read, or no room to write */
  SLUICE_CORRUPT = -2,  /* what can't be right */
  SLUICE_TOO_LONG = -3, /* the record, or for the buffer */
  SLUICE_BUSY = -4      /* the side is held */
};

/* When this process started, as the layout has it; 0 without /proc. */
static inline uint64_t sluice_start_time(void) {
  char text[1024];
  FILE *file = fopen("/proc/self/stat", "r");
  if (file == NULL) return 0;
  size_t count = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[count] = 0;
  char *at = strrchr(text, ')');
  if (at == NULL) return 0;
  unsigned long long start = 0;
  for (int field = 2; field < 22 && at != NULL; field++) {
    at = strchr(at + 1, ' ');
  }
  if (at != NULL) sscanf(at, "%llu", &start);
  return start;
}

static inline _Atomic int32_t *sluice_word(struct sluice_ring *ring,
                                           uint32_t position) {
  return (_Atomic int32_t *)(void *)(ring->data +
                                     (position & (ring->capacity - 1)));
}

static inline uint32_t sluice_record_size(uint32_t length) {
  return (length + SLUICE_RECORD_HEADER + 7u) & ~7u;
}

/* Checks the segment of `length` bytes mapped at `base`. 0 where it is fine. */
static inline int sluice_segment_check(void *base, size_t length) {
  struct sluice_segment *segment = base;
  if (length < sizeof *segment) return SLUICE_CORRUPT;
  if (atomic_load(&segment->version) != SLUICE_VERSION ||
      segment->magic != SLUICE_SEGMENT_MAGIC || segment->length != length ||
      segment->header_length != sizeof *segment) {
    return SLUICE_CORRUPT;
  }
  return 0;
}

/* Opens the ring at `offset` of the data, the bytes after the header. */
static inline int sluice_ring_open(struct sluice_ring *ring, void *base,
                                   size_t length, size_t offset) {
  struct sluice_ring_header *header =
      (void *)((uint8_t *)base + sizeof(struct sluice_segment) + offset);
  size_t room = length - sizeof(struct sluice_segment);
  if (offset % 8 != 0 || offset > room || room - offset < sizeof *header) {
    return SLUICE_CORRUPT;
  }
  uint32_t capacity = header->capacity;
  if (atomic_load(&header->version) != SLUICE_VERSION ||
      header->magic != SLUICE_RING_MAGIC || capacity < 64 ||
      capacity > (1u << 30) || (capacity & (capacity - 1)) != 0 ||
      room - offset - sizeof *header < capacity ||
      header->longest != capacity / 2 - 16) {
    return SLUICE_CORRUPT;
  }
  ring->header = header;
  ring->data = (uint8_t *)(header + 1);
  ring->capacity = capacity;
  ring->longest = capacity / 2 - 16;
  ring->tail = ring->published = atomic_load(&header->tail) & ~7u;
  ring->head = ring->tail;
  return 0;
}

static inline int sluice_side_claim(struct sluice_side *side) {
  uint32_t nobody = 0;
  /* A dead holder has to be found out by the caller: see the layout. */
  if (atomic_load(&side->pid) != nobody) return SLUICE_BUSY;
  /* With that of the last holder, the new one would look dead for a moment. */
  side->start_time = 0;
  if (!atomic_compare_exchange_strong(&side->pid, &nobody,
                                      (uint32_t)getpid())) {
    return SLUICE_BUSY;
  }
  side->start_time = sluice_start_time();
  atomic_store(&side->state, 1);
  return 0;
}

/* Becomes the consumer. */
static inline int sluice_ring_reader(struct sluice_ring *ring) {
  return sluice_side_claim(&ring->header->consumer);
}

/* Becomes the producer, after the records that another one left. */
static inline int sluice_ring_writer(struct sluice_ring *ring) {
  int result = sluice_side_claim(&ring->header->producer);
  if (result != 0) return result;
  while (ring->head - ring->tail < ring->capacity - SLUICE_RECORD_HEADER) {
    uint32_t at = ring->head & (ring->capacity - 1);
    int32_t word = atomic_load(sluice_word(ring, ring->head));
    if (word == 0) return 0;
    uint32_t size = word > 0 ? ((uint32_t)word + 7u) & ~7u : 0u - (uint32_t)word;
    if (word > 0 ? (uint32_t)word < 8 || (uint32_t)word > ring->longest + 8 ||
                       at + size > ring->capacity
                 : size != ring->capacity - at || at == 0) {
      return SLUICE_CORRUPT;
    }
    ring->head += size;
  }
  return ring->head - ring->tail == ring->capacity - SLUICE_RECORD_HEADER
             ? 0
             : SLUICE_CORRUPT;
}

/* Writes one record: 0, SLUICE_EMPTY where there is no room, or an error. */
static inline int sluice_ring_write(struct sluice_ring *ring, const void *bytes,
                                    uint32_t length) {
  if (length > ring->longest) return SLUICE_TOO_LONG;
  uint32_t size = sluice_record_size(length);
  uint32_t at = ring->head & (ring->capacity - 1);
  uint32_t rest = ring->capacity - at;
  uint32_t pad = rest < size ? rest : 0;
  uint32_t need = size + pad + SLUICE_RECORD_HEADER;
  if (need > ring->capacity - (ring->head - ring->tail)) {
    ring->tail = atomic_load_explicit(&ring->header->tail, memory_order_acquire);
    uint32_t used = ring->head - ring->tail;
    if (used > ring->capacity) return SLUICE_CORRUPT;
    if (need > ring->capacity - used) return SLUICE_EMPTY;
  }
  uint32_t start = ring->head + pad;
  memcpy(ring->data + (start & (ring->capacity - 1)) + SLUICE_RECORD_HEADER,
         bytes, length);
  /* First the next word, then one's own: that one is the commit. */
  atomic_store_explicit(sluice_word(ring, start + size), 0, memory_order_relaxed);
  if (pad != 0) {
    atomic_store_explicit(sluice_word(ring, start), (int32_t)(length + 8),
                          memory_order_relaxed);
    atomic_store_explicit(sluice_word(ring, ring->head), -(int32_t)pad,
                          memory_order_release);
  } else {
    atomic_store_explicit(sluice_word(ring, start), (int32_t)(length + 8),
                          memory_order_release);
  }
  ring->head = start + size;
  return 0;
}

/* Tells the producer what was read. Reading does it at times by itself. */
static inline void sluice_ring_publish(struct sluice_ring *ring) {
  if (ring->published == ring->tail) return;
  ring->published = ring->tail;
  atomic_store_explicit(&ring->header->tail, ring->tail, memory_order_release);
}

/* Copies one record: its length, SLUICE_EMPTY, or an error. */
static inline int64_t sluice_ring_read(struct sluice_ring *ring, void *into,
                                       uint32_t room) {
  for (int skipped = 0;; skipped++) {
    uint32_t at = ring->tail & (ring->capacity - 1);
    int32_t word =
        atomic_load_explicit(sluice_word(ring, ring->tail), memory_order_acquire);
    if (word == 0) {
      sluice_ring_publish(ring);
      return SLUICE_EMPTY;
    }
    if (word < 0) {
      uint32_t pad = 0u - (uint32_t)word;
      if (skipped > 0 || pad != ring->capacity - at || at == 0) {
        return SLUICE_CORRUPT;
      }
      ring->tail += pad;
      continue;
    }
    if (word < 8 || (uint32_t)word > ring->longest + 8 ||
        at + (uint32_t)word > ring->capacity) {
      return SLUICE_CORRUPT;
    }
    uint32_t length = (uint32_t)word - SLUICE_RECORD_HEADER;
    if (length > room) return SLUICE_TOO_LONG;
    memcpy(into, ring->data + at + SLUICE_RECORD_HEADER, length);
    ring->tail += sluice_record_size(length);
    if (ring->tail - ring->published >= ring->capacity / 4) {
      sluice_ring_publish(ring);
    }
    return length;
  }
}

/* Whether the peer ended in order. Read once more after this says so. */
static inline int sluice_side_ended(struct sluice_side *side) {
  return atomic_load(&side->state) == 2;
}

/* Lets go of a side in order. */
static inline void sluice_side_release(struct sluice_side *side) {
  atomic_store(&side->state, 2);
  atomic_store(&side->pid, 0);
}

#endif
