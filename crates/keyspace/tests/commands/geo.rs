use onecopy_resp::Version;

use crate::support::{Machine, expect};

const SICILY: &str = "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => :2";

#[test]
fn places_are_members_of_a_sorted_set() {
    let mut machine = Machine::default();
    machine.expect(SICILY);
    machine.expect(
        "
        ZSCORE s Palermo             => 3479099956230698
        ZSCORE s Catania             => 3479447370796909
        TYPE s                       => zset
        GEOPOS s Palermo x           => [[13.36138933897018433 38.11555639549629859] nil]
        GEOPOS x a b                 => [nil nil]
        GEOPOS s                     => []
        GEOHASH s Palermo Catania x  => [sqc8b49rny0 sqdtr74hyu0 nil]
        GEODIST s Palermo Catania    => 166274.1516
        GEODIST s Palermo Catania km => 166.2742
        GEODIST s Palermo Catania MI => 103.3182
        GEODIST s Palermo Palermo    => 0.0000
        GEODIST s Palermo x          => nil
        GEODIST x a b                => nil
        GEODIST s a b parsec         => -ERR unsupported unit provided. please use M, KM, FT, MI
        GEODIST s a b m x            => -ERR syntax error
        GEOADD s NX 1 1 Palermo      => :0
        GEOADD s XX 1 1 Rome         => :0
        GEOADD s XX CH 1 1 Palermo   => :1
        GEOADD s CH 1 1 Palermo 2 2 Rome => :1
        GEOADD s NX XX 1 1 a         => -ERR syntax error
        GEOADD s 1 1 a 2             => -ERR syntax error
        GEOADD s 1 x a               => -ERR value is not a valid float
        GEOADD s 181 90.5 a          => -ERR invalid longitude,latitude pair 181.000000,90.500000
        GEOADD s 1 1                 => -ERR wrong number of arguments for 'geoadd' command
        ",
    );
}

#[test]
fn areas_are_searched() {
    let mut machine = Machine::default();
    machine.expect(SICILY);
    machine.expect(
        "
        GEOADD s 12.758489 38.788135 edge1 17.241510 38.788135 edge2 => :2
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC => [Catania Palermo]
        GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST => [[Catania 56.4413] [Palermo 190.4424] [edge2 279.7403] [edge1 279.7405]]
        GEOSEARCH s FROMMEMBER Palermo BYRADIUS 100 km DESC => [edge1 Palermo]
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 => [Catania]
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 DESC WITHHASH => [[Palermo :3479099956230698]]
        GEORADIUS s 15 37 200 km ASC WITHCOORD => [[Catania [15.08726745843887329 37.50266842333162032]] [Palermo [13.36138933897018433 38.11555639549629859]]]
        GEORADIUS_RO s 15 37 100 km  => [Catania]
        GEORADIUSBYMEMBER s Catania 200 km ASC => [Catania Palermo]
        GEORADIUSBYMEMBER_RO s Catania 1 m => [Catania]
        GEOSEARCH x FROMLONLAT 15 37 BYRADIUS 200 km ASC => []
        GEORADIUSBYMEMBER x a nonsense nonsense => []
        GEOSEARCH s FROMMEMBER x BYRADIUS 1 km => -ERR could not decode requested zset member
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS -1 km => -ERR radius cannot be negative
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS x km => -ERR need numeric radius
        GEOSEARCH s FROMLONLAT 15 37 BYBOX x 1 km => -ERR need numeric width
        GEOSEARCH s FROMLONLAT 15 37 BYBOX 1 x km => -ERR need numeric height
        GEOSEARCH s FROMLONLAT 15 37 BYBOX 1 -1 km => -ERR height or width cannot be negative
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 1 km COUNT 0 => -ERR COUNT must be > 0
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 1 km ANY => -ERR the ANY argument requires COUNT argument
        GEOSEARCH s FROMLONLAT 15 37 ASC ASC ASC => -ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
        geosearch s BYRADIUS 1 km ASC ASC => -ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch
        GEOSEARCH s FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 1 km => -ERR syntax error
        GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 1 km STOREDIST => -ERR syntax error
        GEORADIUS_RO s 15 37 200 km STORE d => -ERR syntax error
        GEORADIUS s 15 37 200 km WITHDIST STORE d => -ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 1 km WITHHASH => -ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        ",
    );
}

#[test]
fn what_is_found_is_stored() {
    let mut machine = Machine::default();
    machine.expect(SICILY);
    machine.expect(
        "
        GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km => :2
        ZSCORE d Palermo             => 3479099956230698
        GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 STOREDIST => :1
        ZRANGE d 0 -1                => [Catania]
        ZCOUNT d 56.441 56.442       => :1
        GEORADIUS s 15 37 200 km STOREDIST d => :2
        ZRANGE d 0 -1                => [Catania Palermo]
        GEORADIUSBYMEMBER s Palermo 1 km STORE d => :1
        ZSCORE d Palermo             => 3479099956230698
        GEOSEARCHSTORE s s FROMLONLAT 15 37 BYRADIUS 100 km => :1
        ZRANGE s 0 -1                => [Catania]
        GEOSEARCHSTORE s s FROMLONLAT 0 0 BYRADIUS 1 m => :0
        EXISTS s                     => :0
        GEOSEARCHSTORE d s FROMMEMBER x BYRADIUS 1 m => :0
        EXISTS d                     => :0
        ",
    );
}

#[test]
fn distances_are_stored_to_the_last_bit() {
    // These bits must be the same on every machine, and in every version.
    let mut machine = Machine::default();
    machine.expect(SICILY);
    machine.expect(
        "
        GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST => :2
        ZSCORE d Catania             => 56.4412578701582
        ZSCORE d Palermo             => 190.44242984775784
        ",
    );
}

#[test]
fn coordinates_are_doubles_in_resp3_and_distances_are_not() {
    let mut machine = Machine { version: Version::Three, ..Machine::default() };
    machine.expect(SICILY);
    machine.expect(
        "
        GEOPOS s Palermo             => [[,13.36138933897018433 ,38.11555639549629859]]
        GEODIST s Palermo Catania    => 166274.1516
        ONCE t GEORADIUS s 15 37 100 km WITHCOORD => [[Catania [,15.08726745843887329 ,37.50266842333162032]]]
        ",
    );
    machine.version = Version::Two;
    machine.expect("ONCE t GEORADIUS s 15 37 100 km WITHCOORD => [[Catania [15.08726745843887329 37.50266842333162032]]]");
}

#[test]
fn scores_that_are_no_places_are_places_nonetheless() {
    expect(
        "
        ZADD z -1 a inf b -inf c 1.5 d 1e300 e 1 f => :6
        GEODIST z a c                => 18919844.5891
        GEODIST z b e                => 0.0000
        GEOPOS z a c                 => [[180 85.0511287799999991] [180 -85.05112751263942528]]
        GEORADIUS z 0 0 30000 km WITHHASH ASC => [[f :1] [d :1]]
        GEOSEARCH z FROMMEMBER f BYRADIUS 1 km ASC => [f d]
        ",
    );
}
