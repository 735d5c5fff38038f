/* A bare hash join of captures: read pcap, take a key, and set side by side where and when each packet was seen.
 * Two threads; no NAT, no clocks, no order, no window, no findings but a count of the packets that are not in
 * every capture. The peer of `hopline correlate` in scripts/bench_correlate.py.
 *
 *     cc -O3 -march=native -pthread -o hash_join hash_join.c && ./hash_join A.pcap B.pcap C.pcap D.pcap
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCES 4

/* A sighting, and a row of the join. */
struct seen { uint64_t key; int64_t time; uint32_t frame, source; };
struct row { uint64_t key; int64_t time[SOURCES]; uint32_t frame[SOURCES]; };
struct part { struct seen *all; size_t count, room; };
struct job { char **files; int count, half; size_t rows, whole; int64_t took; };

static struct part parts[2][2]; /* by reader, by half of the keys */

static uint64_t mix(uint64_t h, uint64_t word) {
    __uint128_t product = (__uint128_t)(h ^ word ^ 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ (h << 23 | h >> 41);
}

/* Protocol, and what is behind the ports, up to 64 octets. */
static uint64_t key_of(const uint8_t *frame, uint32_t length) {
    if (length < 34 || frame[12] != 8 || frame[13] != 0) return 0;
    const uint8_t *ip = frame + 14;
    uint32_t header = (ip[0] & 15) * 4, total = ip[2] << 8 | ip[3];
    if (total + 14 > length || total < header + 8) return 0;
    const uint8_t *body = ip + header, *end = ip + total;
    if (ip[9] != 1) body += 4;
    if (end > body + 64) end = body + 64;
    uint64_t hash = ip[9];
    for (; body < end; body += 8) {
        uint64_t word = 0;
        memcpy(&word, body, (size_t)(end - body) < 8 ? (size_t)(end - body) : 8);
        if (ip[9] == 17 && body == ip + header + 4) word &= ~0xffff0000ull;
        if (ip[9] == 6 && body == ip + header + 12) word &= ~0xffff00000000ull;
        hash = mix(hash, word);
    }
    return hash | 1;
}

static void *read_half(void *argument) {
    struct job *job = argument;
    for (int at = job->half; at < job->count; at += 2) {
        int file = open(job->files[at], O_RDONLY);
        struct stat about;
        if (file < 0 || fstat(file, &about) != 0) { perror(job->files[at]); exit(1); }
        const uint8_t *start = mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
        const uint8_t *next = start + 24, *end = start + about.st_size;
        uint32_t frame = 0;
        while (next + 16 <= end) {
            uint32_t head[4];
            memcpy(head, next, 16);
            if (next + 16 + head[2] > end) break;
            frame++;
            uint64_t key = key_of(next + 16, head[2]);
            struct part *part = &parts[job->half][key >> 63];
            if (part->count == part->room) {
                part->room = part->room ? part->room * 2 : 1 << 20;
                part->all = realloc(part->all, part->room * sizeof *part->all);
            }
            part->all[part->count++] =
                (struct seen){key, head[0] * 1000000000ll + head[1], frame, (uint32_t)at};
            next += 16 + head[2];
        }
        munmap((void *)start, about.st_size);
        close(file);
    }
    return NULL;
}

static void *join_half(void *argument) {
    struct job *job = argument;
    size_t all = parts[0][job->half].count + parts[1][job->half].count, room = 1;
    while (room < all / 2) room *= 2;
    struct row *table = calloc(room, sizeof *table);
    for (int reader = 0; reader < 2; reader++) {
        struct part *part = &parts[reader][job->half];
        for (size_t at = 0; at < part->count; at++) {
            struct seen *seen = &part->all[at];
            size_t place = (seen->key >> 8) & (room - 1);
            while (table[place].key && table[place].key != seen->key) place = (place + 1) & (room - 1);
            struct row *row = &table[place];
            if (!row->key) { row->key = seen->key; job->rows++; }
            if (!row->frame[seen->source]) {
                row->frame[seen->source] = seen->frame;
                row->time[seen->source] = seen->time;
            }
        }
    }
    for (size_t place = 0; place < room; place++) {
        struct row *row = &table[place];
        int sources = 0;
        for (int at = 0; at < job->count; at++) sources += row->frame[at] != 0;
        job->whole += sources == job->count;
        if (sources == job->count) job->took += row->time[job->count - 1] - row->time[0];
    }
    return NULL;
}

int main(int count, char **files) {
    pthread_t threads[2];
    struct job jobs[2];
    if (count < 2 || count - 1 > SOURCES) { fprintf(stderr, "hash_join: give one to four captures\n"); return 2; }
    for (int half = 0; half < 2; half++)
        jobs[half] = (struct job){.files = files + 1, .count = count - 1, .half = half};
    for (int half = 0; half < 2; half++) pthread_create(&threads[half], NULL, read_half, &jobs[half]);
    for (int half = 0; half < 2; half++) pthread_join(threads[half], NULL);
    for (int half = 0; half < 2; half++) pthread_create(&threads[half], NULL, join_half, &jobs[half]);
    for (int half = 0; half < 2; half++) pthread_join(threads[half], NULL);
    size_t rows = jobs[0].rows + jobs[1].rows, whole = jobs[0].whole + jobs[1].whole;
    printf("%zu packets, %zu of them in every capture, %lld ns from the first to the last on average\n", rows,
           whole, whole ? (long long)((jobs[0].took + jobs[1].took) / (int64_t)whole) : 0);
    return 0;
}
