/* Token buckets: how fast somebody may go on, once a burst is used up. */
#include "native.h"

#include <stdlib.h>
#include <string.h>

/* Addresses remembered at once: several times a carrier's signalling addresses. Beyond it the one that
 * has been quiet for longest is forgotten, which only a flood from many addresses brings about; and
 * that one is refused by its source. */
#define MAX_ADDRESSES 1024

#define MORE_THAN_ANY_BURST 1e9

bool sh_rate_take(struct sh_bucket *bucket, struct sh_rate rate, double now)
{
    if (rate.per_second <= 0)
        return true;
    if (bucket->at <= 0) {
        bucket->tokens = rate.burst;
    } else {
        bucket->tokens += (now - bucket->at) * rate.per_second;
        if (bucket->tokens > rate.burst)
            bucket->tokens = rate.burst;
    }
    bucket->at = now;
    if (bucket->tokens < 1)
        return false;
    bucket->tokens -= 1;
    return true;
}

bool sh_rate_take_for(struct sh_rate_table *table, uint32_t address, struct sh_rate rate, double now)
{
    struct sh_address_bucket *oldest;

    if (rate.per_second <= 0)
        return true;
    if (!table->rows) {
        table->rows = calloc(MAX_ADDRESSES, sizeof *table->rows);
        if (!table->rows)
            return true;
    }
    oldest = &table->rows[0];
    for (unsigned i = 0; i < MAX_ADDRESSES; i++) {
        struct sh_address_bucket *row = &table->rows[i];

        if (row->address == address && row->bucket.at > 0)
            return sh_rate_take(&row->bucket, rate, now);
        if (row->bucket.at < oldest->bucket.at)
            oldest = row;
        if (row->bucket.at <= 0) /* rows are filled in order: nobody is behind the first free one */
            break;
    }
    memset(oldest, 0, sizeof *oldest);
    oldest->address = address;
    return sh_rate_take(&oldest->bucket, rate, now);
}

/* Its bucket is full again. */
void sh_rate_forget(struct sh_rate_table *table, uint32_t address)
{
    for (unsigned i = 0; table->rows && i < MAX_ADDRESSES && table->rows[i].bucket.at > 0; i++)
        if (table->rows[i].address == address)
            table->rows[i].bucket.tokens = MORE_THAN_ANY_BURST;
}

void sh_rate_forget_all(struct sh_rate_table *table)
{
    free(table->rows);
    table->rows = NULL;
}
