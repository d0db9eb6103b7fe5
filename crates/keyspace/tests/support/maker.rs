//! Random commands that make sense, or nearly so.

#![allow(dead_code)]

use std::collections::BTreeMap;

use super::stream_templates::{CHOICES, STREAM_TEMPLATES};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How a reply is brought into a form that can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Compare {
    Exact,
    /// The elements come in any order.
    Sorted,
    /// The elements come in pairs, the pairs in any order.
    SortedPairs,
    /// The second element is what `SortedPairs` or `Sorted` says: a scan's.
    Scan(usize),
    /// A remaining time in milliseconds.
    Remaining,
}

/// Makes commands from templates: each word that names a choice is replaced.
pub struct Maker {
    rng: ChaCha8Rng,
    choices: BTreeMap<&'static str, Vec<&'static str>>,
    /// The last id that was made for an entry of a stream.
    id: (u64, u64),
}

impl Maker {
    pub fn new(seed: u64) -> Self {
        let choices = [
            ("K", "s1 s2 n1 h1 h2 l1 l2 t1 t2 t3 z1 z2 z3 x m2 m3"),
            ("KS", "s1 s2 s1 s2 n1 x l1"),
            ("KN", "n1 n1 n2 n3 s1 x h1"),
            ("KH", "h1 h1 h2 h2 h3 x s1"),
            ("KL", "l1 l1 l2 l2 l3 x h1"),
            ("KT", "t1 t1 t2 t2 t3 x s1"),
            ("KZ", "z1 z1 z2 z2 z3 x t1 s1"),
            ("V", "a b c foo 12 -7 3.5 '' hello-world 0 10"),
            ("F", "f1 f2 f3 f4 12 ''"),
            ("M", "a b c d e f g 1 2 3 '' aa ab"),
            ("I", "0 1 2 3 -1 -2 -3 5 100 -100"),
            ("IX", "0 1 -1 2 x 1.5 9223372036854775807 -9223372036854775808 '' 007"),
            ("E", "0 x -1"),
            // Where no number is so large that an 80-bit float shows.
            ("KP", "p1 p2 hf"),
            ("KF", "f1 f2 f3"),
            ("Y", "1 2 -1 -2 0 x"),
            ("C", "0 1 2 3 5 -1 x"),
            ("D", "0.5 1.25 -2.5 3 1e2 x inf"),
            ("W", "0 1 -1 1.5 2.25 -0.5 3 3 10 inf -inf x"),
            ("SB", "0 1 (1 -1 1.5 (1.5 3 (3 10 -inf +inf inf (inf x"),
            ("LB", "- + [a (a [b (c [ab (ab [ x"),
            ("T", "100 1000 3600 600"),
            ("TX", "0 -1 x 9223372036854775807 -9223372036854775808 100000"),
            ("G", "* s* ?1 [hl]1 *2 x nothing*"),
            // Bits.
            ("KB", "b1 b1 b2 b2 b3 n1 x l1"),
            ("B", "0 1 0 1 0 1 2 x"),
            ("BO", "0 1 6 7 8 9 31 63 64 100 200"),
            ("BX", "x -1 4294967296 1.5 #1 #-1 #x # ''"),
            ("BT", "u1 u2 u5 u7 u8 u16 u31 u32 u63 i1 i2 i5 i8 i16 i33 i63 i64"),
            ("BTX", "u64 i65 u0 i0 x8 u i U8 u-1 u08"),
            ("BP", "0 1 3 8 9 50 63 64 #0 #1 #2 #3"),
            (
                "BV",
                "0 1 -1 2 -2 5 127 128 -128 -129 255 256 1000 -1000 4294967295 4611686018427387904 \
              -4611686018427387904 9223372036854775807",
            ),
            ("OV", "WRAP SAT FAIL sat fail"),
            // Longer texts.
            ("KQ", "q1 q1 q2 q2 q3 x l1"),
            ("Q", "ohmytext mynewtext abcabba cbabac xaxbxcxd aaaa abababababababa hello-world 12345 1 ''"),
            // HyperLogLogs: those whose bytes are looked at, and those that are counted one by one, which
            // Redis writes to.
            ("KU", "u1 u1 u2 u2 u3 u5"),
            ("KY", "y1 y1 y2 y3"),
            // No other command puts scores there, nor finds such large ones, which Redis 7.0 spells otherwise.
            ("KG", "g1 g1 g1 g2 g2 g3 y h1"),
            // So few that whichever way Redis sorts is stable.
            ("GM", "a b c d e f"),
            ("UN", "m km km KM mi ft m km x"),
            ("BOX", "0 1 50 1000 20000 -1 x 1e5 300 inf"),
            // What SORT may be asked about, and what it may look at.
            ("KLTZ", "l1 l1 l2 l2 t1 t2 z1 z2 x h1"),
            ("KTZ", "t1 t2 t3 z1 z2 z3"),
            ("KW", "w_a w_b w_c w_d w_1 w_2 w_ w_aa"),
            ("HW", "wh_a wh_b wh_c wh_1 wh_2 w_3"),
            ("VW", "1 2 -3 1.5 10 9 0 3e1 0x10 -inf 07"),
            ("BY", "w_* w_* wh_*->f1 nothing_*->x nosort # *->f1 w_*-> w_*x"),
            ("GET", "# # w_* wh_*->f1 wh_*->f2 nosort *"),
        ];
        let split = |(name, list): (&'static str, &'static str)| (name, list.split(' ').collect());
        let choices = choices.into_iter().chain(CHOICES.iter().copied()).map(split).collect();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), choices, id: (1, 0) }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound as u64) as usize
    }

    /// A random command.
    pub fn any(&mut self) -> String {
        loop {
            let at = self.below(TEMPLATES.len() + STREAM_TEMPLATES.len());
            let template = match TEMPLATES.get(at) {
                Some((template, _)) => template,
                None => STREAM_TEMPLATES[at - TEMPLATES.len()].trim_start_matches('*'),
            };
            // Whole databases are emptied or swapped rarely, or there would never be much in them.
            if !template.starts_with("FLUSH") || self.below(20) == 0 {
                return self.fill(template);
            }
        }
    }

    /// A random command, now and then under a token, that may have been used.
    pub fn any_or_once(&mut self) -> String {
        let line = self.any();
        match self.below(3) {
            0 => format!("ONCE token-{} {line}", self.below(300)),
            1 if self.below(2) == 0 => format!("ONCE token-{} INCR n1", self.below(20)),
            _ => line,
        }
    }

    /// A longitude and a latitude, often near to others, now and then none.
    pub fn place(&mut self) -> String {
        let mut between = |max: f64| (self.rng.next_u64() as f64 / 2f64.powi(63) - 1.0) * max;
        let (longitude, latitude) = (between(180.0), between(85.05));
        let (east, north) = (between(1.0), between(1.0));
        let near = |(longitude, latitude): (f64, f64), width: f64| {
            format!("{} {}", longitude + east * width, latitude + north * width)
        };
        const CITIES: [(f64, f64); 4] = [(13.4, 52.5), (-122.4, 37.8), (179.0, -17.7), (25.0, 81.0)];
        let city = CITIES[self.below(4)];
        match self.below(40) {
            0 => ["181 0", "0 86", "x 1", "1 ''", "-180.0001 5", "inf 1"][self.below(6)].to_string(),
            1 => {
                ["180 85.05112878", "-180 -85.05112878", "0 0", "180 0", "-180 1"][self.below(5)].to_string()
            }
            2..=9 => near((longitude, latitude), 0.0),
            10..=19 => near(city, 0.001),
            20..=29 => near(city, 0.1),
            _ => near(city, 1.0),
        }
    }

    /// An id for an entry, mostly later than those before.
    pub fn new_id(&mut self) -> String {
        let (ms, seq) = self.id;
        self.id = match self.below(3) {
            0 => (ms, seq + 1),
            _ => (ms + 1 + self.below(3) as u64, 0),
        };
        let (ms, seq) = self.id;
        match self.below(20) {
            0 => format!("{ms}-*"),
            1 => ms.to_string(),
            2 => self.known_id(),
            _ => format!("{ms}-{seq}"),
        }
    }

    /// An id that an entry may have.
    pub fn known_id(&mut self) -> String {
        let back = [3, 30, 300][self.below(3)];
        let ms = self.id.0.saturating_sub(self.below(back) as u64);
        match self.below(8) {
            0 => ms.to_string(),
            1 | 2 => format!("{ms}-{}", self.below(4)),
            _ => format!("{ms}-0"),
        }
    }

    /// A command from a template.
    pub fn fill(&mut self, template: &str) -> String {
        let words = template.split(' ').map(|word| match self.choices.get(word).cloned() {
            Some(list) => list[self.below(list.len())].to_string(),
            // Any of many numbers.
            None if word == "N" => self.below(1_000_000).to_string(),
            None if word == "PLACE" => self.place(),
            None if word == "NEWID" => self.new_id(),
            None if word == "ID" => self.known_id(),
            None if word == "(ID" => format!("({}", self.known_id()),
            None => match word.strip_prefix('?') {
                // An option that may be left out.
                Some(_) if self.below(3) > 0 => String::new(),
                Some(option) => option.replace('_', " "),
                None => word.to_string(),
            },
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // What an option brought in may be a choice again.
        let is_open = |word: &str| ["PLACE", "NEWID", "ID", "(ID"].contains(&word);
        match line.split(' ').any(|word| is_open(word) || self.choices.contains_key(word)) {
            true => self.fill(&line),
            false => line,
        }
    }
}

use Compare::{Exact, Remaining, Scan, Sorted, SortedPairs};

/// The templates, and how the replies can be compared with those of another server.
pub const TEMPLATES: &[(&str, Compare)] = &[
    // Strings.
    ("SET KS V ?NX ?XX ?GET ?KEEPTTL", Exact),
    ("SET KS V ?EX_T ?PX_TX", Exact),
    ("SET KN I", Exact),
    ("GET KS", Exact),
    ("GETSET KS V", Exact),
    ("SET p1 V", Exact),
    ("HSET hf KF V", Exact),
    ("GETDEL KS", Exact),
    ("GETEX KS ?EX_T ?PERSIST", Exact),
    ("GETEX KS PX TX", Exact),
    ("MGET KS KN KH", Exact),
    ("MSET KS V KN I", Exact),
    ("MSETNX KS V KN I", Exact),
    ("SETNX KS V", Exact),
    ("SETEX KS T V", Exact),
    ("SETEX KS TX V", Exact),
    ("PSETEX KS TX V", Exact),
    ("APPEND KS V", Exact),
    ("STRLEN KS", Exact),
    ("GETRANGE KS I I", Exact),
    ("GETRANGE KS IX I", Exact),
    ("SUBSTR KS I I", Exact),
    ("SETRANGE KS C V", Exact),
    ("SETRANGE KS IX V", Exact),
    ("INCR KN", Exact),
    ("DECR KN", Exact),
    ("INCRBY KN I", Exact),
    ("INCRBY KN IX", Exact),
    ("DECRBY KN IX", Exact),
    ("INCRBYFLOAT KP D", Exact),
    // Bits.
    ("SETBIT KB BO B", Exact),
    ("SETBIT KB BX B", Exact),
    ("GETBIT KB BO", Exact),
    ("GETBIT KB BX", Exact),
    ("SET KB Q", Exact),
    ("GET KB", Exact),
    ("BITCOUNT KB", Exact),
    ("BITCOUNT KB I", Exact),
    ("BITCOUNT KB I I ?BIT ?BYTE", Exact),
    ("BITCOUNT KB BO BO BIT", Exact),
    ("BITCOUNT KB IX IX ?bit ?x", Exact),
    ("BITPOS KB B", Exact),
    ("BITPOS KB B I", Exact),
    ("BITPOS KB B I I ?BIT ?BYTE", Exact),
    ("BITPOS KB B BO BO BIT", Exact),
    ("BITPOS KB B IX IX ?bit ?x", Exact),
    ("BITOP AND KB KB KB", Exact),
    ("BITOP OR KB KB KB", Exact),
    ("BITOP XOR KB KB KB KB", Exact),
    ("BITOP NOT KB KB", Exact),
    ("BITOP NOT KB KB KB", Exact),
    ("BITOP x KB KB KB", Exact),
    ("BITOP or KB missing", Exact),
    ("BITFIELD KB", Exact),
    ("BITFIELD KB SET i64 #0 -1", Exact),
    ("BITFIELD KB GET BT BP GET BT BO", Exact),
    ("BITFIELD KB SET BT BP BV GET BT BP", Exact),
    ("BITFIELD KB ?OVERFLOW_OV SET BT BP BV SET BT BP BV", Exact),
    ("BITFIELD KB ?OVERFLOW_OV INCRBY BT BP BV ?OVERFLOW_OV INCRBY BT BP BV", Exact),
    ("BITFIELD KB ?OVERFLOW_OV INCRBY BT BO IX GET BT BP", Exact),
    ("BITFIELD KB GET BTX BP", Exact),
    ("BITFIELD KB SET BT BX BV", Exact),
    ("BITFIELD KB SET BT BP ?BV ?OVERFLOW_x", Exact),
    ("BITFIELD_RO KB GET BT BP GET BT BP", Exact),
    ("BITFIELD_RO KB ?GET_BTX_BP SET BT BP BV", Exact),
    // Subsequences.
    ("SET KQ Q", Exact),
    ("APPEND KQ Q", Exact),
    ("LCS KQ KQ", Exact),
    ("LCS KQ KQ LEN", Exact),
    ("LCS KQ KQ IDX ?MINMATCHLEN_C ?WITHMATCHLEN", Exact),
    ("LCS KQ K ?LEN ?IDX ?MINMATCHLEN ?x", Exact),
    // HyperLogLogs.
    ("PFADD KU N N N N N N N N N N N N N N N N N N N N N N N N N N N N N N", Exact),
    ("PFADD KU M M", Exact),
    ("PFADD KU", Exact),
    ("PFADD KY N N N N N N N N N N", Exact),
    ("PFCOUNT KY", Exact),
    ("PFCOUNT KU KY", Exact),
    ("PFCOUNT KU KU KU", Exact),
    ("PFMERGE KU KU KY", Exact),
    ("PFMERGE KY KU", Exact),
    ("PFMERGE KU", Exact),
    ("GET KU", Exact),
    ("DEL KU KY", Exact),
    ("RPUSH u5 M", Exact),
    ("SET u5 V", Exact),
    ("SET ys V", Exact),
    ("PFADD ys M", Exact),
    ("PFCOUNT ys ?KU", Exact),
    ("PFDEBUG ENCODING KU", Exact),
    ("PFDEBUG DECODE KU", Exact),
    ("PFDEBUG GETREG g4", Exact),
    ("PFDEBUG TODENSE g4", Exact),
    ("PFADD g4 N N N", Exact),
    ("GET g4", Exact),
    ("DEL g4", Exact),
    ("PFDEBUG x KU", Exact),
    // Keys.
    ("DEL K K", Exact),
    ("DEL K", Exact),
    ("UNLINK K", Exact),
    ("EXISTS K K", Exact),
    ("TOUCH K K", Exact),
    ("TYPE K", Exact),
    ("KEYS G", Sorted),
    ("SCAN 0 COUNT 1000 ?MATCH_G ?TYPE_hash", Scan(1)),
    ("SCAN x", Exact),
    ("SCAN 0 COUNT E", Exact),
    ("SCAN 0 MATCH", Exact),
    ("RENAME K K", Exact),
    ("RENAMENX K K", Exact),
    ("COPY K K ?REPLACE ?DB_1", Exact),
    ("COPY K K DB IX", Exact),
    ("MOVE K 1", Exact),
    ("MOVE K IX", Exact),
    ("DBSIZE", Exact),
    ("EXPIRE K T ?NX ?XX ?GT ?LT", Exact),
    ("EXPIRE K TX ?NX ?XX ?GT ?LT ?YY", Exact),
    ("PEXPIRE K TX", Exact),
    ("EXPIREAT K 99999999999 ?NX ?XX ?GT ?LT", Exact),
    ("PEXPIREAT K TX", Exact),
    ("PTTL K", Remaining),
    ("EXPIRETIME x", Exact),
    ("PERSIST K", Exact),
    ("SWAPDB 0 1", Exact),
    ("SWAPDB IX IX", Exact),
    ("FLUSHDB ?ASYNC ?x", Exact),
    ("SET e1 V", Exact),
    ("SET e1 hello-this-is-a-text-of-more-than-forty-four-bytes", Exact),
    ("OBJECT ENCODING e1", Exact),
    ("OBJECT x K", Exact),
    ("MEMORY USAGE", Exact),
    // Hashes.
    ("HSET KH F V F V", Exact),
    ("HSET KH F V F", Exact),
    ("HMSET KH F V F I", Exact),
    ("HMSET KH F", Exact),
    ("HSETNX KH F V", Exact),
    ("HGET KH F", Exact),
    ("HMGET KH F F F", Exact),
    ("HGETALL KH", SortedPairs),
    ("HDEL KH F F", Exact),
    ("HLEN KH", Exact),
    ("HEXISTS KH F", Exact),
    ("HKEYS KH", Sorted),
    ("HVALS KH", Sorted),
    ("HINCRBY KH F IX", Exact),
    ("HINCRBY KH F I", Exact),
    ("HINCRBYFLOAT hf KF D", Exact),
    ("HSTRLEN KH F", Exact),
    ("HSCAN KH 0 ?MATCH_f* ?COUNT_C", Scan(2)),
    ("HRANDFIELD KH 100", Sorted),
    ("HRANDFIELD KH 100 WITHVALUES", SortedPairs),
    ("HRANDFIELD missing IX ?WITHVALUES ?y", Exact),
    // Lists.
    ("LPUSH KL M M", Exact),
    ("RPUSH KL M M M", Exact),
    ("LPUSHX KL M", Exact),
    ("RPUSHX KL M M", Exact),
    ("LPOP KL", Exact),
    ("RPOP KL", Exact),
    ("LPOP KL C", Exact),
    ("RPOP KL C", Exact),
    ("LPOP KL C C", Exact),
    ("LLEN KL", Exact),
    ("LRANGE KL I I", Exact),
    ("LRANGE KL 0 -1", Exact),
    ("LRANGE KL IX I", Exact),
    ("LINDEX KL I", Exact),
    ("LINDEX KL IX", Exact),
    ("LSET KL I M", Exact),
    ("LSET KL IX M", Exact),
    ("LINSERT KL BEFORE M M", Exact),
    ("LINSERT KL AFTER M M", Exact),
    ("LINSERT KL x M M", Exact),
    ("LREM KL I M", Exact),
    ("LREM KL IX M", Exact),
    ("LTRIM KL I I", Exact),
    ("LPOS KL M ?RANK_I ?COUNT_C ?MAXLEN_C", Exact),
    ("LPOS KL M RANK Y", Exact),
    ("LMOVE KL KL LEFT RIGHT", Exact),
    ("LMOVE KL KL RIGHT LEFT", Exact),
    ("LMOVE KL KL RIGHT x", Exact),
    ("RPOPLPUSH KL KL", Exact),
    ("LMPOP C KL KL LEFT ?COUNT_C", Exact),
    ("LMPOP 2 KL KL RIGHT ?COUNT_C", Exact),
    // Sets.
    ("SADD KT M M", Exact),
    ("SADD KT I I I", Exact),
    ("SREM KT M M", Exact),
    ("SMEMBERS KT", Sorted),
    ("SISMEMBER KT M", Exact),
    ("SMISMEMBER KT M M", Exact),
    ("SCARD KT", Exact),
    ("SPOP KT 100", Sorted),
    ("SPOP missing C", Exact),
    ("SRANDMEMBER KT 100", Sorted),
    ("SRANDMEMBER missing IX", Exact),
    ("SMOVE KT KT M", Exact),
    ("SINTER KT KT", Sorted),
    ("SUNION KT KT KT", Sorted),
    ("SDIFF KT KT", Sorted),
    ("SINTERSTORE KT KT KT", Exact),
    ("SUNIONSTORE KT KT KT", Exact),
    ("SDIFFSTORE KT KT KT", Exact),
    ("SINTERCARD 2 KT KT ?LIMIT_C", Exact),
    ("SINTERCARD C KT KT", Exact),
    ("SSCAN KT 0 COUNT 1000 ?MATCH_a*", Scan(1)),
    // Sorted sets.
    ("ZADD KZ W M W M W M", Exact),
    ("ZADD KZ ?NX ?XX ?GT ?LT ?CH ?INCR W M", Exact),
    ("ZADD KZ ?GT ?CH W M W M", Exact),
    ("ZADD KZ W M W", Exact),
    ("ZREM KZ M M", Exact),
    ("ZSCORE KZ M", Exact),
    ("ZMSCORE KZ M M", Exact),
    ("ZINCRBY KZ W M", Exact),
    ("ZCARD KZ", Exact),
    ("ZCOUNT KZ SB SB", Exact),
    ("ZRANGE KZ I I ?WITHSCORES ?REV", Exact),
    ("ZRANGE KZ 0 -1 WITHSCORES", Exact),
    ("ZRANGE KZ IX I ?LIMIT_I_I", Exact),
    ("ZRANGE KZ SB SB BYSCORE ?REV ?LIMIT_I_I ?WITHSCORES", Exact),
    ("ZRANGE ZL LB LB BYLEX ?REV ?LIMIT_I_I", Exact),
    ("ZRANGE ZL LB LB BYLEX WITHSCORES", Exact),
    ("ZADD ZL 0 M 0 M 0 M", Exact),
    ("ZREM ZL M M", Exact),
    ("ZRANGEBYSCORE KZ SB SB ?WITHSCORES ?LIMIT_I_I", Exact),
    ("ZREVRANGEBYSCORE KZ SB SB ?WITHSCORES ?LIMIT_I_I ?REV", Exact),
    ("ZREVRANGE KZ I I ?WITHSCORES", Exact),
    ("ZRANGEBYLEX ZL LB LB ?LIMIT_I_I", Exact),
    ("ZREVRANGEBYLEX ZL LB LB ?LIMIT_I_I", Exact),
    ("ZLEXCOUNT ZL LB LB", Exact),
    ("ZRANK KZ M", Exact),
    ("ZREVRANK KZ M", Exact),
    ("ZPOPMIN KZ ?C", Exact),
    ("ZPOPMAX KZ ?C", Exact),
    ("ZMPOP 2 KZ KZ MIN ?COUNT_C", Exact),
    ("ZMPOP C KZ KZ MAX", Exact),
    ("ZREMRANGEBYRANK KZ I I", Exact),
    ("ZREMRANGEBYSCORE KZ SB SB", Exact),
    ("ZREMRANGEBYLEX ZL LB LB", Exact),
    ("ZRANGESTORE KZ KZ I I ?REV", Exact),
    ("ZRANGESTORE KZ KZ SB SB BYSCORE ?REV ?LIMIT_I_I ?WITHSCORES", Exact),
    ("ZUNION 2 KZ KZ ?WEIGHTS_D_D ?AGGREGATE_MIN ?WITHSCORES", Exact),
    ("ZUNION 2 KZ KT ?AGGREGATE_MAX ?WITHSCORES", Exact),
    ("ZINTER 2 KZ KZ ?WEIGHTS_D_D ?AGGREGATE_MAX ?WITHSCORES", Exact),
    ("ZINTER 3 KZ KZ KZ WITHSCORES", Exact),
    ("ZDIFF 2 KZ KZ ?WITHSCORES ?AGGREGATE_MAX", Exact),
    ("ZUNIONSTORE KZ C KZ KZ ?AGGREGATE_x", Exact),
    ("ZUNIONSTORE KZ 2 KZ KT ?WEIGHTS_D_D", Exact),
    ("ZINTERSTORE KZ 2 KZ KZ ?WITHSCORES", Exact),
    ("ZDIFFSTORE KZ 2 KZ KZ", Exact),
    ("ZINTERCARD 2 KZ KZ ?LIMIT_C", Exact),
    ("ZRANDMEMBER KZ 100", Sorted),
    ("ZRANDMEMBER missing IX ?WITHSCORES ?y", Exact),
    ("ZSCAN KZ 0 ?MATCH_a*", Scan(2)),
    // Places.
    ("GEOADD KG PLACE GM PLACE GM", Exact),
    ("GEOADD KG PLACE GM PLACE GM PLACE GM", Exact),
    ("GEOADD KG ?NX ?XX ?CH PLACE GM PLACE GM", Exact),
    ("GEOADD KG ?CH PLACE GM GM", Exact),
    ("ZSCORE KG GM", Exact),
    ("ZRANGE KG 0 -1 WITHSCORES", Exact),
    ("ZREM KG GM", Exact),
    ("GEOPOS KG GM GM", Exact),
    ("GEOHASH KG GM GM", Exact),
    ("GEODIST KG GM GM ?UN", Exact),
    ("GEODIST KG GM GM UN ?UN", Exact),
    ("GEOSEARCH KG FROMLONLAT PLACE BYRADIUS BOX UN ASC WITHDIST ?WITHCOORD ?WITHHASH", Exact),
    ("GEOSEARCH KG FROMLONLAT PLACE BYBOX BOX BOX UN DESC ?WITHDIST ?WITHCOORD ?WITHHASH", Exact),
    ("GEOSEARCH KG FROMMEMBER GM BYRADIUS BOX UN ?COUNT_C ?ASC ?WITHDIST", Sorted),
    ("GEOSEARCH KG BYBOX BOX BOX UN FROMMEMBER GM COUNT C ?DESC ?WITHCOORD", Exact),
    ("GEOSEARCH KG FROMMEMBER GM BYBOX BOX BOX km COUNT C ANY ?ASC", Exact),
    ("GEOSEARCH KG FROMMEMBER GM ?FROMLONLAT_PLACE BYRADIUS BOX km ?BYBOX_1_1_km ?ANY ?ASC", Sorted),
    ("GEOSEARCH KG FROMMEMBER GM ?COUNT_C ?x ?STOREDIST ASC ?ASC", Exact),
    ("GEOSEARCH KG BYRADIUS BOX UN ?COUNT_C ASC ?ASC", Exact),
    ("GEOSEARCHSTORE KG KG FROMLONLAT PLACE BYRADIUS BOX km ?COUNT_C ?DESC", Exact),
    ("GEOSEARCHSTORE KG KG FROMMEMBER GM BYBOX BOX BOX UN ?COUNT_C ?WITHDIST ?ASC", Exact),
    ("GEOSEARCHSTORE g4 KG FROMMEMBER GM BYBOX BOX BOX UN ?COUNT_C ?STOREDIST ?ASC", Exact),
    ("GEORADIUS KG PLACE BOX UN ?WITHDIST ?WITHCOORD ?WITHHASH ASC", Exact),
    ("GEORADIUS KG PLACE BOX UN ?COUNT_C ?STORE_KG ?WITHHASH ?DESC ?ANY", Sorted),
    ("GEORADIUS KG PLACE BOX UN STOREDIST g4", Exact),
    ("GEORADIUS_RO KG PLACE BOX UN ?COUNT_C ?STORE_KG DESC", Exact),
    ("GEORADIUSBYMEMBER KG GM BOX UN ?WITHDIST ?WITHCOORD ?WITHHASH ASC", Exact),
    ("GEORADIUSBYMEMBER KG GM BOX UN ?COUNT_C STORE KG", Exact),
    ("GEORADIUSBYMEMBER KG GM BOX UN STOREDIST g4", Exact),
    ("GEORADIUSBYMEMBER_RO KG GM BOX UN ?COUNT_C ?STORE_KG ?WITHDIST DESC", Exact),
    ("ZRANGE g4 0 -1", Exact),
    // Sorting. Where Redis says nothing about the order of what is equal, there is nothing equal.
    ("SET KW VW", Exact),
    ("HSET HW F VW F VW", Exact),
    ("SORT KLTZ ?DESC ?LIMIT_I_I", Exact),
    ("SORT KLTZ ALPHA ?DESC ?ASC ?LIMIT_I_I ?GET_GET ?GET_GET", Exact),
    ("SORT KLTZ BY w_* ?DESC ?LIMIT_I_I ?GET_GET", Exact),
    ("SORT KLTZ BY wh_*->f1 ?DESC ?LIMIT_I_I ?GET_GET ?GET_GET", Exact),
    ("SORT KL BY BY ?ALPHA ?DESC ?GET_GET ?GET_GET", Exact),
    ("SORT KTZ BY BY ALPHA ?DESC", Sorted),
    ("SORT KL BY nosort ?DESC ?LIMIT_I_I ?GET_GET", Exact),
    ("SORT KZ BY nosort ?DESC ?LIMIT_I_I ?GET_GET", Exact),
    ("SORT KZ BY nosort ?DESC LIMIT I I", Exact),
    ("SORT KT BY nosort", Sorted),
    ("SORT KLTZ ALPHA ?DESC LIMIT I I STORE KL", Exact),
    ("SORT KT BY nosort STORE l4", Exact),
    ("SORT KL BY w_* GET GET ?GET_GET STORE l4", Exact),
    ("LRANGE l4 0 -1", Exact),
    ("SORT KLTZ ?LIMIT_IX_1 ?LIMIT_1 ?BY ?GET ?STORE ?x", Exact),
    ("SORT_RO KLTZ ALPHA ?DESC ?LIMIT_I_I ?GET_GET ?STORE_KL", Exact),
    ("SORT_RO KLTZ BY w_* ?DESC ?LIMIT_I_I ?GET_GET", Exact),
    // Wrong numbers of arguments, and names that do not exist.
    ("GET", Exact),
    ("ZADD KZ", Exact),
    ("HSET KH", Exact),
    ("NONSENSE V V", Exact),
];
