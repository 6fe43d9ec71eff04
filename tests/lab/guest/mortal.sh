# A service that notes each of its starts (seconds after boot) and dies: see mortals.py.
read -r up rest < /proc/uptime
echo "$up" >> "/run/mortal/$1"
case $2 in
    exit) exit 1 ;;
    signal) kill -KILL $$ ;;
    once) [ ! -e "/run/mortal/$1.once" ] || exec sleep infinity ;;
esac
: > "/run/mortal/$1.once"
exec tail /dev/zero
