<?php
// Hashes of passwords made by PHP's password_hash, as Laravel makes them too: see peers.py for what is read and written.
foreach (json_decode(stream_get_contents(STDIN))->passwords as $i => $encoded) {
    $password = base64_decode($encoded);
    $first = $i == 0;
    $makers = [
        ['bcrypt', PASSWORD_BCRYPT, $first ? [] : ['cost' => 4]],
        ['argon2i', PASSWORD_ARGON2I, $first ? [] : ['memory_cost' => 64, 'time_cost' => 1]],
        ['argon2id', PASSWORD_ARGON2ID, $first ? [] : ['memory_cost' => 64, 'time_cost' => 1]],
    ];
    foreach ($makers as [$scheme, $algorithm, $options]) {
        try {
            $stored = password_hash($password, $algorithm, $options);
        } catch (ValueError $e) { // NUL in bcrypt
            continue;
        }
        echo json_encode(['by' => 'PHP ' . PHP_VERSION, 'scheme' => $scheme, 'password' => $i, 'stored' => $stored]), "\n";
    }
}
